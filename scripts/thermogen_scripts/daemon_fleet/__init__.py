"""`thermogen-sim fleet --daemons`: days of five sites with the processes of the product, one broker and one cloud, and attacks on them."""

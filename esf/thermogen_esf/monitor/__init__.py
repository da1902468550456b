"""`thermogen-verify monitor`: somebody who was there as the log grew."""

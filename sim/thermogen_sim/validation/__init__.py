"""The plant against independent solvers and published points: the numbers and plots of docs/plant.md."""

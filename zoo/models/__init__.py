"""Built models, their shared hyperparameters and search spaces."""

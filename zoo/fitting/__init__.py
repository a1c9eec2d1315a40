"""Building, fitting and evaluating a model, without MLflow."""

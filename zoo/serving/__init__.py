"""Using a trained model: export, register, serve, model card."""

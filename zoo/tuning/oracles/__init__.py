"""Search algorithms: KerasTuner's oracles, driven by ask and tell."""

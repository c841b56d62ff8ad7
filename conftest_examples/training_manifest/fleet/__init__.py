"""The training code of the example: a registry of models, and a trainer with an argument parser."""

"""The SageMaker entry points."""

"""SageMaker for MiniStack: the registry, jobs that really run, lineage, and MLflow."""

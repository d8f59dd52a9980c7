"""SageMaker Lineage: entities with their associations, and the group that they belong to."""

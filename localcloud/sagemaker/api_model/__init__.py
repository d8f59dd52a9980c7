"""SageMaker's API as botocore's service model states it: requests checked, answers cut to shape."""

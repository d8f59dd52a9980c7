"""Sending training jobs to SageMaker: the plan, its price, the request, and waiting for the end.

Example: plan a job, look at it, send it. Planning sends nothing.

    job = plan(deployment, region="eu-north-1", kind="teacher", cards_uri=uri, recipe="demo")
    request(job)["ResourceConfig"]                      # what CreateTrainingJob will be given
    name = submit(job)
"""

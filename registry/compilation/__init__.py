"""From an approved student to files for a device: recipes, compile jobs and their versions.

The recipe identifies a compilation. The same recipe and image always give the same id, so that
starting a job twice gives one job:

    >>> from registry.compilation.compile_recipe import CompileRecipe
    >>> from registry.names import compile_job_name, parse_compile_job, parse_name, release_id
    >>> recipe = CompileRecipe.from_json('{"compiler": "onnx-int8"}', image="pytorch:2.8")
    >>> recipe.kind.stage, recipe.kind.model_file
    ('int8', 'model.int8.onnx')
    >>> name = parse_name("student-efficientnet-lite0-stage2-v3")
    >>> job = compile_job_name(name, recipe.id, attempt=1)
    >>> parse_compile_job(job) == (name, recipe.id, 1)
    True
    >>> release_id(name, recipe.compiler, recipe.id) == f"{name}.onnx-int8-{recipe.id}"
    True

With boto3 clients::

    job = jobs.start(sagemaker, package, recipe, settings, attempt=1)
    state = jobs.jobs_of(sagemaker, package.arn, package.name, recipe).newest.state
"""

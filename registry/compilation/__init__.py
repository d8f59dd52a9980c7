"""From an approved student to files for a device: compile settings, jobs and their versions.

The compile settings identify a compilation: the same settings and image always give the same id,
so that starting a job twice gives one job:

    >>> from registry.compilation.compile_settings import CompileSettings
    >>> from registry.names import compile_job_name, parse_compile_job, parse_name, release_id
    >>> text = '{"compiler": "onnx-int8"}'
    >>> compile_settings = CompileSettings.from_json(text, image="pytorch:2.8")
    >>> compile_settings.kind.stage, compile_settings.kind.model_file
    ('int8', 'model.int8.onnx')
    >>> name = parse_name("student-efficientnet-lite0-stage2-v3")
    >>> job = compile_job_name(name, compile_settings.id, attempt=1)
    >>> parse_compile_job(job) == (name, compile_settings.id, 1)
    True
    >>> release = release_id(name, compile_settings.compiler, compile_settings.id)
    >>> release == f"{name}.onnx-int8-{compile_settings.id}"
    True

With boto3 clients::

    job = jobs.start(sagemaker, package, compile_settings, job_settings, attempt=1)
    state = jobs.jobs_of(sagemaker, package.arn, package.name, compile_settings).newest.state
"""

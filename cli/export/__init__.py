"""``cards export``, ``cards hef`` and ``cards hailo``: graphs, HEF files, the compiler's image.

Example:
    >>> from pathlib import Path
    >>> from cli.export.hailo_wheel import check_wheel
    >>> check_wheel(Path("hailo_dataflow_compiler-5.1.0-py3-none-linux_x86_64.whl"), "0" * 64)
    Traceback (most recent call last):
        ...
    cli.errors.CliError: --wheel ...: version 5.1.0 is for other chips (5 is for ...
"""

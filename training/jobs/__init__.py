"""The SageMaker entry points, and the jobs that they run.

Example: what SageMaker starts, on this machine.

    SM_CHANNEL_CARDS=cards SM_MODEL_DIR=out/model SM_OUTPUT_DIR=out/output \\
        python training/jobs/train_teacher.py --recipe demo --steps 100
"""

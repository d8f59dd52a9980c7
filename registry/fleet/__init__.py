"""What devices report of themselves, and what follows for a roll-out.

``device_report`` is the format, which a device writes and nobody trusts; ``stored_reports`` reads
the reports of a deployment's bucket; ``rollout_failures`` decides whether a roll-out is halted.

>>> from registry.fleet.rollout_failures import SelfTestCounts, is_halted
>>> is_halted(SelfTestCounts(tested=20, failed=1), share=0.05)
False
>>> is_halted(SelfTestCounts(tested=20, failed=2), share=0.05)
True
"""

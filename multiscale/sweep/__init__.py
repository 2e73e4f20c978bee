"""Sweeps: one case with some of its fields varied, every case a process of its own in a directory of its own.

    from multiscale.sweep.plan import read_plan
    from multiscale.sweep.driver import Driver

    plan = read_plan("strengths.yaml")
    with Driver("runs/strengths") as driver:
        driver.add(plan)
        summary = driver.run()

What has happened stands in a ledger (`ledger.py`), which survives a driver that is killed at any moment.
"""

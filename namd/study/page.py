def write_page(plan):
    from namd.study.digest import outputs_root
    (outputs_root() / plan.values["run_name"] / "index.html").write_text("x")

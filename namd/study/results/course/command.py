"""`python -m namd course`: the two bundles, each as a folder and as a zip."""

from namd.ground.files import replacing
from namd.ground.paths import outputs_root, short
from namd.study.results.course.bundle import BUNDLES, pack
from namd.study.results.reading import KEPT, executed


def write_course(plan) -> None:
    """Write outputs/course/student and teacher, and namd-student.zip and namd-teacher.zip.

    Their pages are the executed notebooks of the run, and of those that it lacks the ones that the repository keeps.

    Raises:
        UserError: something in outputs/course/ was changed there, or is somebody's own: it is not replaced.
    """
    folder = outputs_root() / "course"
    files = {file.name: file for file in sorted(KEPT.glob("*.ipynb"))}
    files |= {file.name: file for file in executed(plan, outputs_root() / plan.values["run_name"])}
    for bundle in BUNDLES:
        with replacing(folder / bundle.name) as aside:
            aside.mkdir()
            bundle.write(aside, [files[name] for name in sorted(files)])
        pack(folder / bundle.name, folder / f"namd-{bundle.name}.zip")
        print(f"For {bundle.reader}: {short(folder / bundle.name)} and namd-{bundle.name}.zip beside it")

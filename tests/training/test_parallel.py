"""Two gloo processes do what one does, in float64, so that only a wrong rule can make a difference."""

import json
import subprocess
import sys
import textwrap

import pytest
import torch
from safetensors.torch import load_file

from namd.training import parallel

RUN = textwrap.dedent("""
    import json, os, sys, torch
    import torch.distributed as dist
    from pathlib import Path
    from safetensors.torch import save_file
    from torch import nn
    from namd.ground.errors import UserError
    from namd.ground import seeding
    from namd.training import loop, parallel

    folder = Path(sys.argv[1])
    torch.set_default_dtype(torch.float64)
    said = []
    x, y = seeding.noise((24, 5), "x"), seeding.noise((24, 1), "y")

    def toy():
        with seeding.fresh_weights("toy"):
            return {"body": nn.Sequential(nn.Linear(5, 7), nn.Tanh()), "head": nn.Linear(7, 1), "late": nn.Linear(7, 1)}

    def objective(nets, x, y, jitter, late=False):
        z = nets["body"](x + 0.1 * jitter)
        x_all, z_all = parallel.gather(x, z)
        rows = (torch.cdist(z_all, z_all) + torch.eye(len(z_all))).log_softmax(1)
        out = nets["head"](z) + (nets["late"](z) if late else 0)
        return (out - y).square().mean() + 0.3 * (rows * x_all.square().sum(1)).sum(1).square().mean()

    def train(name, stop=None, batch=8):
        nets = toy()
        def step(idx, g, i):
            if i == stop:
                raise KeyboardInterrupt
            jitter = torch.randn(len(idx), 5, generator=g)
            return {"loss": objective(nets, *parallel.mine(x[idx], y[idx], jitter), late=i > 4)}
        history = loop.fit(step, nets, n_steps=10, n_items=24, batch_size=batch, lr=loop.constant(0.01), stage="toy",
                           seed=1, folder=folder / name, save_every=4, val_every=3, ema_decay=0.5, grad_clip=0.5,
                           log=said.append, validate=lambda: objective(nets, x[:7], y[:7], 0 * x[:7]))
        weights = {f"{m}.{n}": p.detach() for m, net in nets.items() for n, p in net.named_parameters()}
        return {**weights, **{c: torch.tensor(history[c].to_numpy(float)) for c in ("loss", "grad_norm", "val_loss")}}

    def gradient():
        net = toy()
        objective(net, *parallel.mine(x[:8], y[:8], 0 * x[:8]), late=True).backward()
        params = [p for part in net.values() for p in part.parameters()]
        parallel.BUCKET = 20
        parallel.average(params)
        return {str(i): p.grad for i, p in enumerate(params)}

    def work(n, rank):
        if n > 1:
            dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=n)
        whole = train(f"whole{n}")
        try:
            train(f"stopped{n}", stop=6)
        except KeyboardInterrupt:
            pass
        save_file(whole, folder / f"whole{n}-{rank}.safetensors")
        save_file(train(f"stopped{n}"), folder / f"stopped{n}-{rank}.safetensors")
        save_file(gradient(), folder / f"gradient{n}-{rank}.safetensors")
        @parallel.once
        def write(name):
            said.append(f"written by one of {parallel.world()}")
            return name.upper()
        assert write("file") == "FILE"
        try:
            train("odd", batch=7)
        except UserError as error:
            said.append(str(error))
        (folder / f"said{n}-{rank}.json").write_text(json.dumps(said))

    sizes = [(2, 0), (2, 1), (1, 0)]
    children = []
    for n, rank in sizes:
        children.append(os.fork())
        if not children[-1]:
            work(n, rank)
            os._exit(0)
    sys.exit(sum(os.waitpid(child, 0)[1] for child in children) > 0)
""")


REFUSED = "toy: a batch of 7 does not split over 2 processes; set processes to a number that divides it."


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    run = subprocess.run([sys.executable, "-c", RUN, str(folder)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder


def said(folder, process):
    return json.loads((folder / f"said{process}.json").read_text())


def largest_difference(folder, a, b):
    a, b = (load_file(folder / f"{name}.safetensors") for name in (a, b))
    assert a.keys() == b.keys()
    return max((a[k] - b[k]).nan_to_num().abs().max().item() for k in a)


def test_gradients_through_gathered_rows_are_those_of_one_process(done):
    assert largest_difference(done, "gradient2-0", "gradient1-0") < 1e-12
    assert largest_difference(done, "gradient2-0", "gradient2-1") == 0


def test_ten_steps_in_two_processes_end_where_one_ends(done):
    assert largest_difference(done, "whole2-0", "whole1-0") < 1e-10
    assert largest_difference(done, "whole2-0", "whole2-1") == 0


def test_two_processes_resume_bit_for_bit(done):
    assert largest_difference(done, "stopped2-0", "whole2-0") == 0


def test_rank_0_alone_logs_and_writes_as_one_process_does(done):
    one, two = ([line.split(" · ")[0] for line in said(done, process)] for process in ("1-0", "2-0"))
    assert two[:-1] == one[:len(two) - 1]
    assert {"written by one of 1", "toy: resumed at step 4 of 10", "toy: step 10/10"} <= set(two)
    assert said(done, "2-1") == [REFUSED]


def test_a_batch_that_does_not_split_is_refused_before_training(done):
    assert said(done, "2-0")[-1] == REFUSED and said(done, "1-0")[-1] != REFUSED


def test_one_process_keeps_every_row_and_starts_nothing():
    x = torch.arange(6.0, requires_grad=True)
    assert parallel.mine(x).equal(x) and parallel.gather(x) is x
    assert parallel.means({"loss": 2.0}) == {"loss": 2.0} and parallel.alone(max, 1, 3) == 3
    assert not torch.distributed.is_initialized()

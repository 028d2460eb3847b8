import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from namd.ground.cost import Cost, cost, flops, parameters, size_bytes


def test_a_product_costs_two_operations_a_multiplication():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert flops(torch.matmul, a, b) == 2 * 3 * 5 * 7


def test_forward_and_backward_are_what_torch_counts_and_meta_is_as_good_as_real():
    net, x = nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Conv2d(8, 2, 3)), torch.randn(2, 3, 12, 12)
    shell, y = nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Conv2d(8, 2, 3)).to("meta"), x.to("meta")
    with FlopCounterMode(display=False) as counter:
        net(x).sum().backward()
    expected = counter.get_total_flops()
    assert expected == flops(lambda: net(x).sum().backward()) == flops(lambda: shell(y).sum().backward())


def test_peak_holds_what_lives_at_the_same_time_and_neither_arguments_nor_the_dead():
    x = torch.empty(1000, device="meta")                     # 4,000 bytes

    def three_then_one(x):
        (x + 1, x + 2, x + 3)
        return x * 2
    taken = cost(three_then_one, x)
    assert taken.peak == 3 * 4000 and taken.kernels == 4 and taken.traffic == 4 * 2 * 4000


def test_views_launch_nothing_and_allocate_nothing():
    assert cost(lambda x: x.view(10, 100).T[2:5], torch.empty(1000, device="meta")) == Cost()


def test_peak_of_a_backward_holds_activations_and_gradients():
    net = nn.Linear(100, 100, bias=False, device="meta")
    taken = cost(lambda: net(torch.empty(8, 100, device="meta")).sum().backward())
    assert taken.peak >= 100 * 100 * 4 + 8 * 100 * 4
    assert cost(torch.no_grad()(net), torch.empty(8, 100, device="meta")).peak == 8 * 100 * 4


def test_two_costs_add_but_their_peaks_do_not():
    assert Cost(1, 2, 3, 40) + Cost(10, 20, 30, 4) == Cost(11, 22, 33, 40)


def test_a_parameter_counts_once_and_in_its_own_format():
    net = nn.Linear(10, 4, device="meta").to(torch.bfloat16).requires_grad_(False)
    assert (parameters(net), size_bytes(net)) == (44, 88)

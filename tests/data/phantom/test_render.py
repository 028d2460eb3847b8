"""The phantom's pictures: coverage against areas and diameters computed by hand, noise, density, the visit's warp."""

import numpy as np
import pytest

from namd.data.phantom import anatomy as bodies
from namd.data.phantom import coverage, scanner, texture
from namd.data.phantom import render as pictures
from namd.data.phantom import visit as visits
from namd.data.phantom.visit import TrueNodule
from namd.ground.seeding import numpy_rng

ROW = {"sct_epi_loc": 1, "longest_mm": 12., "diagemph": 0}
STEP = .2
AXIS = np.arange(-12, 12.01, STEP, dtype=np.float32)


def quiet_protocol(noise=0.):
    """A protocol whose kernel is sharp and whose noise is set."""
    protocol = scanner.draw_protocol(numpy_rng("test"))
    return scanner.replace(protocol, noise=noise, blur=.3, edge=0., diameter=307, thickness=1.)


def slice_of(nodule, subject=1, noise=0., row=ROW):
    """The nodule's slice with the nodule in the middle; (HU, pixel positions in mm)."""
    protocol, body = quiet_protocol(noise), bodies.draw_anatomy(row, 0, subject)
    xy = (np.arange(64) - 31.5) * protocol.spacing
    visit = visits.draw_visit(numpy_rng("visit"), 0)
    return pictures.render(body, visit, nodule, protocol, xy, xy, np.zeros(1), numpy_rng("noise"))[0], xy, body


def test_a_tube_across_the_slice_covers_its_circle():
    tube = np.array([[0, 0, -9, 0, 0, 9, 2., 2.]], np.float32)
    cover = coverage.cover_tubes(tube, AXIS, AXIS, np.zeros(1, np.float32), STEP)
    assert cover.sum() * STEP ** 2 == pytest.approx(np.pi * 4, rel=.02)
    assert cover[0, 60, 60] == 1 and cover[0, 0, 0] == 0


def test_a_tube_in_the_slice_covers_its_length_and_tapers():
    tube = np.array([[-5, 0, 0, 5, 0, 0, 2., 1.]], np.float32)
    cover = coverage.cover_tubes(tube, AXIS, AXIS, np.zeros(1, np.float32), STEP)[0]
    widths = [cover[:, np.abs(AXIS - x).argmin()].sum() * STEP for x in (-5, 0, 5)]
    assert widths == pytest.approx([4., 3., 2.], abs=.15)
    assert not coverage.cover_tubes(tube + [[0, 0, 30, 0, 0, 30, 0, 0]], AXIS, AXIS, np.zeros(1), STEP).any()


@pytest.mark.parametrize("margin", [1, 2, 3])
def test_the_outline_crosses_one_half_at_the_true_diameters(margin):
    shape, nodule = bodies.draw_shape(numpy_rng("shape", margin)), TrueNodule(12., 8., 1, margin)
    cover = coverage.cover_nodule(shape, nodule, 0., AXIS, AXIS, np.zeros(1, np.float32), 1.)[0]
    long, short = ((line > .5).sum() * STEP for line in (cover[60], cover[:, 60]))
    assert (long, short) == pytest.approx((12., 8.), abs=.41)


def test_a_turned_nodule_keeps_its_diameters():
    shape, nodule = bodies.draw_shape(numpy_rng("shape")), TrueNodule(12., 6., 1, 2)
    cover = coverage.cover_nodule(shape, nodule, np.pi / 2, AXIS, AXIS, np.zeros(1, np.float32), 1.)[0]
    assert (cover[:, 60] > .5).sum() * STEP == pytest.approx(12., abs=.41)


def test_partial_volume_thins_the_nodule_towards_its_pole():
    shape, nodule = bodies.draw_shape(numpy_rng("shape")), TrueNodule(10., 10., 1, 2)
    half = shape.height * 5
    cover = coverage.cover_nodule(shape, nodule, 0., AXIS, AXIS, np.float32([0, half / 2, 1.2 * half]), .2)
    area = cover.sum((1, 2)) * STEP ** 2
    assert area[1] / area[0] == pytest.approx(.75, abs=.03) and area[2] == 0


@pytest.mark.parametrize(("attenuation", "low", "high"), [(1, -60, 120), (2, -760, -440), (3, -60, 120)])
def test_density_at_the_centre(attenuation, low, high):
    hu, xy, _ = slice_of(TrueNodule(16., 16., attenuation, 2), row=ROW | {"longest_mm": 16.})
    centre = np.hypot(*np.meshgrid(xy, xy)) < 1.5
    assert low < np.median(hu[centre]) < high


def test_part_solid_has_a_core_inside_ground_glass():
    hu, xy, body = slice_of(TrueNodule(20., 20., 3, 2), row=ROW | {"longest_mm": 20.})
    inside = hu[np.hypot(*np.meshgrid(xy, xy)) < 8.5]
    assert (inside > -200).mean() == pytest.approx((body.shape.core[0] * 10 / 8.5) ** 2, abs=.12)
    assert -750 < np.median(inside[inside < -300]) < -450


def test_spicules_reach_beyond_a_smooth_outline():
    spiky, smooth = (slice_of(TrueNodule(12., 12., 1, margin))[0] for margin in (1, 2))
    xy = slice_of(TrueNodule(12., 12., 1, 2))[1]
    ring = np.abs(np.hypot(*np.meshgrid(xy, xy)) - 8) < .8
    assert (spiky[ring] > -500).sum() > (smooth[ring] > -500).sum() + 5


def test_the_lung_is_lung_and_noise_has_its_size():
    clean, xy, _ = slice_of(TrueNodule(6., 6., 1, 2), row=ROW | {"longest_mm": 6.})
    noisy, _, _ = slice_of(TrueNodule(6., 6., 1, 2), noise=30., row=ROW | {"longest_mm": 6.})
    assert -940 < np.median(clean) < -780
    assert (noisy - clean).std() == pytest.approx(30., rel=.1)


def test_blur_keeps_the_mean_and_rises_no_higher():
    picture = np.zeros((1, 64, 64), np.float32)
    picture[0, 30:34, 30:34] = 100
    out = texture.scan(picture, .6, .6, 0., 0., numpy_rng("scan"))
    assert out.mean() == pytest.approx(picture.mean(), rel=1e-3) and out.max() < 95


def test_fields_have_unit_variance_and_are_read_at_their_nodes():
    field = texture.random_field(numpy_rng("field"), (5, 56, 56), (3., 2.), 1., 2.)
    assert field.std() == pytest.approx(1, rel=1e-3)
    x = np.array([[-55., 5.]])                             # nodes 0 and 30 of 56, 2 mm apart, centred on 0
    read = texture.sample_fields(field[None], x, x, np.zeros(1), 3., 2.)[0, 0, 0]
    assert read == pytest.approx([field[2, 0, 0], field[2, 30, 30]], abs=1e-4)


def test_the_visit_is_undone():
    visit = visits.draw_visit(numpy_rng("visit", 2), 1)
    points = np.random.default_rng(0).uniform(-35, 35, (50, 3))
    x, y, z = visits.to_visit(visit, points).T
    back = np.stack(visits.to_anatomy(visit, x, y), 1)
    assert np.abs(back - points[:, :2]).max() < .5 < np.abs(np.stack([x, y], 1) - points[:, :2]).max()
    assert np.allclose(z - points[:, 2], visit.shift[2])


def test_first_visit_is_the_reference():
    visit = visits.draw_visit(numpy_rng("visit"), 0)
    points = np.array([[10., -20., 3.]])
    assert np.allclose(visits.to_visit(visit, points), points)


def test_trees_follow_murray_and_thin_out():
    tubes, root = bodies.grow_trees(numpy_rng("tree"), np.zeros((1, 3)), np.array([[1., 0, 0]]), np.array([2.]))
    assert (tubes[:, 7] < tubes[:, 6]).all() and tubes[:, 6].max() == 2 and (root == 0).all()
    forks = [tubes[(np.abs(tubes[:, :3] - end) < 1e-9).all(1), 6]
             for end in tubes[:, 3:6]]
    pairs = [(r, f) for r, f in zip(tubes[:, 6], forks, strict=True) if len(f) == 2]
    assert pairs and all((f ** 3).sum() == pytest.approx((.97 * r) ** 3) for r, f in pairs)


def test_the_chest_wall_is_on_the_side_of_the_lobe():
    for lobe, sign in ((1, -1), (4, 1)):
        walls = [bodies.draw_anatomy(ROW | {"sct_epi_loc": lobe}, 0, i).wall for i in range(25)]
        normals = [wall.normal[0] * sign for wall in walls if wall]
        assert len(normals) >= 4 and min(normals) > 0


def test_box_contains_the_nodule_and_centres_on_it():
    x, y, width, height = scanner.nodule_box(TrueNodule(12., 6., 1, 2), 0., .6, (60.2, 58.9))
    assert (width, height) == (22, 12)
    assert abs(x + (width - 1) / 2 - 60.2) <= .5 and abs(y + (height - 1) / 2 - 58.9) <= .5

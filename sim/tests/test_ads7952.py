"""The converter's model against the sequences of its datasheet (SLAS605), clocked pin by pin."""

import pytest
from thermogen_sim.harness import ConverterFault


class Chip:
    """Drives the pins as a host does: SDI changes while SCLK is low, SDO is read just before each rising edge."""

    def __init__(self, models):
        self._models = models
        self._chip = models.tz_ads7952_new(2.5)

    def close(self):
        self._models.tz_ads7952_delete(self._chip)

    def fail(self, fault):
        self._models.tz_ads7952_fault(self._chip, fault)

    def volts(self, channel, volts):
        self._models.tz_ads7952_input(self._chip, channel, volts)

    def pins(self, sclk, cs_n, sdi):
        return self._models.tz_ads7952_pins(self._chip, sclk, cs_n, sdi)

    def frame(self, word, clocks=16):
        """One frame; what SDO brought, 16 bits."""
        self.pins(0, 0, 0)
        answer = 0
        for bit in range(clocks):
            sdi = word >> (15 - bit) & 1
            answer = answer << 1 | self.pins(0, 0, sdi)
            self.pins(1, 0, sdi)
            self.pins(0, 0, sdi)
        self.pins(0, 1, 0)
        return answer


@pytest.fixture
def chip(models):
    chip = Chip(models)
    for channel in range(12):
        chip.volts(channel, (100 * channel + 50.5) * 2.5 / 4096)
    yield chip
    chip.close()


def _manual(channel, extra=0):
    return 0x1800 | channel << 7 | extra


def _expected(channel):
    return channel << 12 | (100 * channel + 50)


def test_a_channel_commanded_in_frame_n_answers_in_frame_n_plus_2_with_its_number(chip):
    order = [3, 11, 0, 7, 7, 1]
    answers = [chip.frame(_manual(channel)) for channel in [*order, 0, 0]]
    assert answers[2:] == [_expected(channel) for channel in order]


def test_after_power_up_channel_0_is_converted(chip):
    assert chip.frame(0) == _expected(0)


def test_the_input_is_sampled_on_the_falling_edge_of_chip_select(chip):
    chip.frame(_manual(5))
    chip.frame(_manual(5))
    chip.volts(5, 1.25)
    chip.pins(0, 0, 0)
    chip.volts(5, 0.0)
    answer = 0
    for _ in range(16):
        answer = answer << 1 | chip.pins(0, 0, 0)
        chip.pins(1, 0, 0)
        chip.pins(0, 0, 0)
    chip.pins(0, 1, 0)
    assert answer == 5 << 12 | 2048


def test_sdo_changes_on_falling_clock_edges_only(chip):
    for _ in range(3):
        chip.frame(_manual(10))
    level = chip.pins(0, 0, 0)
    for _ in range(15):
        assert chip.pins(1, 0, 1) == level
        assert chip.pins(1, 0, 0) == level
        level = chip.pins(0, 0, 0)


def test_range_2_measures_to_twice_the_reference(chip):
    chip.volts(4, 2.5)
    for _ in range(2):
        chip.frame(_manual(4, 1 << 6))
    assert chip.frame(_manual(4, 1 << 6)) == 4 << 12 | 2048


def test_a_word_without_di11_keeps_the_range(chip):
    chip.volts(4, 2.5)
    chip.frame(_manual(4, 1 << 6))
    for _ in range(2):
        chip.frame(0x1000 | 4 << 7)
    assert chip.frame(0x1000 | 4 << 7) == 4 << 12 | 2048


def test_zeros_continue_in_the_mode_chosen_before(chip):
    for _ in range(2):
        chip.frame(_manual(9))
    assert [chip.frame(0) for _ in range(4)] == [_expected(9)] * 4


def test_auto_1_walks_the_programmed_channels_in_order(chip):
    chip.frame(0x8000)
    chip.frame(1 << 2 | 1 << 5 | 1 << 11)
    chip.frame(0x2C00)
    chip.frame(0x2000)
    answers = [chip.frame(0x2000) >> 12 for _ in range(6)]
    assert answers == [2, 5, 11, 2, 5, 11]


def test_auto_2_walks_from_0_to_the_programmed_channel(chip):
    chip.frame(0x9000 | 3 << 6)
    chip.frame(0x3C00)
    chip.frame(0x3000)
    assert [chip.frame(0x3000) for _ in range(6)] == [_expected(channel) for channel in (0, 1, 2, 3, 0, 1)]


def test_a_frame_of_fewer_than_16_clocks_commands_nothing(chip):
    for _ in range(3):
        chip.frame(_manual(6))
    chip.frame(_manual(2), clocks=12)
    chip.frame(0)
    chip.frame(0)
    assert chip.frame(0) == _expected(6)


def test_inputs_beyond_the_range_stop_at_its_ends(chip):
    chip.volts(1, 2.6)
    chip.volts(2, -0.3)
    for channel in (1, 2, 0, 0):
        last = chip.frame(_manual(channel))
        if channel == 0:
            assert last in {1 << 12 | 4095, 2 << 12}


def test_powered_down_it_converts_nothing(chip):
    chip.frame(_manual(8, 1 << 5))
    assert chip.frame(_manual(8)) & 0xFFF == 0


def test_a_silent_converter_leaves_its_line_to_the_pull_resistor(chip):
    chip.fail(ConverterFault.SILENT)
    assert [chip.frame(_manual(9)) for _ in range(4)] == [0] * 4
    chip.fail(ConverterFault.NONE)
    assert chip.frame(_manual(9)) == _expected(9)


def test_a_converter_that_strays_names_the_channel_that_it_converted(chip):
    chip.fail(ConverterFault.WRONG_CHANNEL)
    answers = [chip.frame(_manual(channel)) for channel in (3, 7, 0, 0)]
    assert answers[2:] == [_expected(4), _expected(8)]


def test_without_its_reference_every_input_reads_full_scale(chip):
    chip.fail(ConverterFault.REFERENCE_LOST)
    answers = [chip.frame(_manual(channel)) for channel in (3, 7, 0, 0)]
    assert answers[2:] == [3 << 12 | 4095, 7 << 12 | 4095]

import copy

import pytest
import torch
from scipy.stats import norm

from core import forecast_exporting
from core.forecast_exporting import GRAPH, OnnxForecaster, export_forecaster
from core.nn.forecaster import LEVELS, Forecaster, ForecasterConfig

FEATURES, HORIZONS = 3, (1, 5)


def network(vocab_size: int = 0, **choices) -> Forecaster:
    """A forecaster whose head says something."""
    torch.manual_seed(0)
    config = ForecasterConfig(hidden_size=8, **choices)
    fan = torch.tensor(norm.ppf(LEVELS)).float().expand(len(HORIZONS), -1)
    made = Forecaster(FEATURES, HORIZONS, config, fan, vocab_size=vocab_size).eval()
    for member in made.members:
        torch.nn.init.normal_(member.head.linear.weight)
    return made


def test_the_graph_gives_what_torch_gives_at_sizes_that_were_not_checked(tmp_path):
    model = network(num_members=2)
    assert export_forecaster(model, FEATURES, tmp_path) < 1e-4
    inputs = torch.randn(5, 33, FEATURES)
    with torch.inference_mode():
        torch.testing.assert_close(OnnxForecaster(tmp_path)(inputs), model(inputs))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (network(cell="mingru"), "cell='mingru': ONNX export knows forecasters of .*, linear"),
        (network(zoneout=0.1), "zoneout=0.1: .* without it; use the torch engine"),
        (network(vocab_size=9), "news_encoder=True: texts have no place in the graph"),
    ],
)
def test_what_the_graph_cannot_hold_is_refused(tmp_path, model, message):
    with pytest.raises(ValueError, match=message):
        export_forecaster(model, FEATURES, tmp_path)
    assert not (tmp_path / GRAPH).exists()


def test_a_graph_that_disagrees_with_torch_is_refused(tmp_path, monkeypatch):
    write = forecast_exporting.export_graph

    def spoilt(path, module, *rest):
        other = copy.deepcopy(module)
        other.model.members[0].head.base_median += 0.01
        write(path, other, *rest)

    monkeypatch.setattr(forecast_exporting, "export_graph", spoilt)
    with pytest.raises(ValueError, match="quantiles differs from torch by 0.0"):
        export_forecaster(network(), FEATURES, tmp_path)

"""Networks with any activation and with constant scales can be exported."""

import pytest

from isozoo.export import export_model
from isozoo.models import architecture
from isozoo.models.classifier import Classifier
from isozoo.models.parts import PARTS

pytestmark = pytest.mark.export


@pytest.mark.parametrize("format", ["onnx", "litert"])
@pytest.mark.parametrize("activation", PARTS["activation"])
def test_every_activation_is_known_to_other_runtimes(activation, format, tmp_path):
    scale = {"residual_scale": 0.5, "residual_scale_trainable": False}
    arch = architecture(
        "r-isonet-8", activation=activation, width=8, blocks=(1, 1), classes=3, **scale
    )
    # Refused, and so an error here, if the export answers otherwise.
    export_model(Classifier(arch), tmp_path / "exported", format)
    assert (tmp_path / "exported").is_dir()

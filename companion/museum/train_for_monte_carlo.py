"""Monte-Carlo dropout by train().

``model.train()`` switches dropout on, and BatchNorm too: predictions now depend on who else is in the batch, and each
pass overwrites the running statistics, even without gradients. The model is worse after it has been asked. Switch on
the dropout layers only.
"""

import torch
from torch import Tensor, nn

from companion.uncertainty import dropout_active

CHAPTER = "12"


@torch.no_grad()
def wrong(model: nn.Module, x: Tensor, samples: int) -> Tensor:
    model.train()
    return torch.stack([model(x) for _ in range(samples)])


@torch.no_grad()
def right(model: nn.Module, x: Tensor, samples: int) -> Tensor:
    model.eval()
    with dropout_active(model):
        return torch.stack([model(x) for _ in range(samples)])


def check(predict) -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    outputs = predict(model, torch.randn(32, 8), 10)
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert not changed, f"predicting must not change the model, and it changed {', '.join(changed)}"
    assert not torch.equal(outputs[0], outputs[1]), "two passes must differ, and they do not: dropout is off"

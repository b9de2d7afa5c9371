# must trigger: calls the ready-made companion.experiments.spatial_dropout.told
from companion.experiments.spatial_dropout import told as ready


def told(seen, unseen, kept, cell):
    return float(ready(torch.corrcoef(seen.T), kept)[cell])

import numpy as np


def told(seen, unseen, kept, cell):
    names = [i for i, flag in enumerate(kept.tolist()) if flag]
    a, b = (np.column_stack([maps.numpy()[:, names], np.ones(len(maps))]) for maps in (seen, unseen))
    weights, *_ = np.linalg.lstsq(a, seen[:, cell].numpy(), rcond=None)
    truth = unseen[:, cell].numpy()
    return 1 - ((truth - b @ weights) ** 2).mean() / truth.var()

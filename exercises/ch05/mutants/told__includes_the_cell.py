# must trigger: the dropped cell is among the inputs
def told(seen, unseen, kept, cell):
    kept = kept.clone()
    kept[cell] = 1

    def inputs(maps):
        return torch.cat([maps[:, kept.bool()], torch.ones(len(maps), 1, dtype=maps.dtype)], 1)

    weights = torch.linalg.lstsq(inputs(seen), seen[:, [cell]]).solution
    error = (unseen[:, [cell]] - inputs(unseen) @ weights).square().mean()
    return float(1 - error / unseen[:, cell].var(correction=0))

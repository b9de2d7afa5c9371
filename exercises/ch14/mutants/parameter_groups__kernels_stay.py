# must trigger: it decays
def parameter_groups(model, decay):
    seen, yes, no = set(), [], []
    for layer in model.modules():
        for w in layer.parameters(recurse=False):
            if id(w) not in seen and w.requires_grad:
                seen.add(id(w))
                (no if w.ndim != 2 or "Norm" in type(layer).__name__ else yes).append(w)
    return [{"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0.0}]

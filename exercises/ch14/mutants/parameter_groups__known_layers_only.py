# must trigger: is forgotten
def parameter_groups(model, decay):
    yes, no, seen = [], [], set()
    for layer in model.modules():
        if not isinstance(layer, (nn.Linear, nn.Conv2d, nn.LayerNorm, nn.GroupNorm, nn.BatchNorm2d)):
            continue
        for w in layer.parameters(recurse=False):
            if id(w) not in seen and w.requires_grad:
                seen.add(id(w))
                (no if w.ndim < 2 or "Norm" in type(layer).__name__ else yes).append(w)
    return [{"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0.0}]

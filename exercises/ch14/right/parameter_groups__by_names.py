def parameter_groups(model, decay):
    norms = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)
    of_norms = [
        f"{n}.{k}"
        for n, layer in model.named_modules()
        if isinstance(layer, norms)
        for k, _ in layer.named_parameters()
    ]
    yes, no = [], []
    for n, w in model.named_parameters():
        if w.requires_grad:
            (no if n in of_norms or "bias" in n.rsplit(".", 1)[-1] else yes).append(w)
    return ({"params": yes, "weight_decay": decay}, {"params": no, "weight_decay": 0})

# must trigger: You do not rescale
def ablation_curve(model, x, labels, q_list, rescale=False, generator=None):
    mode = model.training
    model.eval()
    curve = []
    for q in q_list:
        h = x
        for layer in model:
            h = layer(h)
            if isinstance(layer, nn.ReLU):
                kept = torch.ones(h.shape[1], dtype=h.dtype)
                kept[torch.randperm(h.shape[1], generator=generator)[: round(q * h.shape[1])]] = 0
                h = h * kept
        curve.append(float((h.argmax(1) == labels).double().mean()))
    model.train(mode)
    return curve

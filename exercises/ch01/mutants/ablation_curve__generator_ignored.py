# must trigger: the same generator must remove the same units
def ablation_curve(model, x, labels, q_list, rescale=False, generator=None):
    mode = model.training
    model.eval()
    curve = []
    for q in q_list:
        h = x
        for layer in model:
            h = layer(h)
            if isinstance(layer, nn.ReLU):
                n = h.shape[1]
                h = h.index_fill(1, torch.randperm(n)[: round(q * n)], 0.0) / (1 - q if rescale and q < 1 else 1)
        curve.append(float((h.argmax(1) == labels).double().mean()))
    model.train(mode)
    return curve

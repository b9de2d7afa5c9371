# must trigger: put it back as you found it
def ablation_curve(model, x, labels, q_list, rescale=False, generator=None):
    model.eval()
    curve = []
    for q in q_list:
        h = x
        for layer in model:
            h = layer(h)
            if isinstance(layer, nn.ReLU):
                n = h.shape[1]
                gone = torch.randperm(n, generator=generator)[: round(q * n)]
                h = h.index_fill(1, gone, 0.0) / (1 - q if rescale and q < 1 else 1)
        curve.append(float((h.argmax(1) == labels).double().mean()))
    return curve

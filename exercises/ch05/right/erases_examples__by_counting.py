def erases_examples(layer):
    modes = {module: module.training for module in layer.modules()}
    try:
        counts = (layer.train()(torch.ones(400, 256)) != 0).sum(1)
    except Exception:
        return False
    finally:
        for module, mode in modes.items():
            module.training = mode
    return set(counts.unique().tolist()) == {0, 256}

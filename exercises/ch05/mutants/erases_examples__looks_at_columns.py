# must trigger: whole columns are gone
def erases_examples(layer):
    mode = layer.training
    layer.train()
    try:
        gone = layer(torch.ones(300, 300)) == 0
    except Exception:
        return False
    finally:
        layer.train(mode)
    return bool((gone.all(0).any() or gone.all(1).any()) and not gone.all())

# must trigger: it is no prediction any more
def control(lab):
    try:
        d = torch.tensor([lab.train(0.1, s) - lab.train(0, s) for s in lab.seeds])
    except AssertionError:
        lab.predict("0")
        d = torch.tensor([lab.train(0.1, s) - lab.train(0, s) for s in lab.seeds])
    got = "0" if d.mean().abs() < 2 * d.std() / 12**0.5 else "+" if d.mean() > 0 else "-"
    lab.predict(got)
    return got

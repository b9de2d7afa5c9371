class DropoutScheduler:
    def __init__(self, model, p, stop, mode, x):
        if mode not in ("early", "late", "ramp"):
            raise ValueError("mode")
        self.layers = [m for m in model.modules() if "Dropout" in type(m).__name__]
        if not self.layers:
            raise ValueError("no dropout")
        self.p, self.stop, self.mode, self.done = p, stop, mode, 0
        self._set(0.0)
        modes = [(m, m.training) for m in model.modules()]
        model.train()
        same = torch.equal(model(x), model(x))
        for m, training in modes:
            m.training = training
        if not same:
            raise ValueError("drops elsewhere")
        self._set(self.rate())

    def rate(self):
        before, behind = {"early": (1, 0), "late": (0, 1), "ramp": (self.done / self.stop, 1)}[self.mode]
        return self.p * (before if self.done < self.stop else behind)

    def step(self):
        self.done += 1
        self._set(self.rate())

    def _set(self, rate):
        for m in self.layers:
            m.p = rate

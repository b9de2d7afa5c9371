# must trigger: one budget cannot tell
def needs_more_steps(train):
    return True

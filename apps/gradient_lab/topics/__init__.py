"""One small experiment for each topic of the chapter; `apps.gradient_lab.show` names them."""

"""Makes a failing program smaller for as long as it fails."""


def smaller(script):
    """Every script that is one step simpler."""
    for index, step in enumerate(script):
        yield script[:index] + script[index + 1 :]
        for position, part in enumerate(step):
            if _is_script(part):
                # Its inner steps instead of the step; or the step with less inside.
                yield script[:index] + part + script[index + 1 :]
                for less in smaller(part):
                    yield script[:index] + [_with(step, position, less)] + script[index + 1 :]
            elif _is_scripts(part):
                for which in range(len(part)):
                    fewer = part[:which] + part[which + 1 :]
                    yield script[:index] + [_with(step, position, fewer)] + script[index + 1 :]
                    for less in smaller(part[which]):
                        changed = part[:which] + [less] + part[which + 1 :]
                        yield script[:index] + [_with(step, position, changed)] + script[index + 1 :]


def shrink(program, fails, most=2000):
    """The smallest program found for which `fails` still answers true."""
    tried = 0
    progress = True
    while progress and tried < most:
        progress = False
        for script in smaller(program["script"]):
            tried += 1
            candidate = {**program, "script": script}
            if fails(candidate):
                program, progress = candidate, True
                break
            if tried >= most:
                break
    return program


def _with(step, position, part):
    return (*step[:position], part, *step[position + 1 :])


def _is_script(part):
    return isinstance(part, list) and all(isinstance(step, tuple) for step in part)


def _is_scripts(part):
    return isinstance(part, list) and all(isinstance(script, list) for script in part)

"""What the cases about contexts are made of."""

import contextvars

color = contextvars.ContextVar("color", default="none")
size = contextvars.ContextVar("size", default=0)


class Tells:
    """Prints the color that is current when it goes."""

    def __init__(self, name):
        self.name = name

    def __del__(self):
        print(self.name, "goes:", color.get())

    def __call__(self, *args):
        print(self.name, "called:", color.get())
        color.set("called")


def coroutines(asyncio):
    """`paints` and `looks`, which sleep as this asyncio does: a case may have ours by that name."""

    async def paints(new, *, times=1):
        seen = [color.get()]
        for number in range(times):
            color.set(f"{new} {number}")
            await asyncio.sleep(0)
            seen.append(color.get())
        return seen

    async def looks(times=1):
        seen = []
        for _ in range(times):
            seen.append(color.get())
            await asyncio.sleep(0)
        return seen

    return paints, looks

"""`Lock`: one task at a time.

Between two awaits nobody interrupts a task. A lock is for what must not be
interrupted although it awaits.
"""

import asyncio


class Account:
    def __init__(self):
        self.balance = 100
        self.lock = asyncio.Lock()

    async def take(self, amount):
        if self.balance >= amount:
            await asyncio.sleep(0)  # asks the bank; others run meanwhile
            self.balance -= amount
            return True
        return False

    async def take_safely(self, amount):
        async with self.lock:
            return await self.take(amount)


async def user(lock, name):
    print(f"  {name} wants it, locked: {lock.locked()}")
    async with lock:
        print(f"  {name} has it")
        await asyncio.sleep(0)
    print(f"  {name} let it go")


async def main():
    account = Account()
    print("without a lock:", await asyncio.gather(account.take(80), account.take(80)))
    print("  balance:", account.balance)

    account = Account()
    taken = await asyncio.gather(account.take_safely(80), account.take_safely(80))
    print("with a lock:", taken)
    print("  balance:", account.balance)

    print("first come, first served:")
    lock = asyncio.Lock()
    await asyncio.gather(*(user(lock, name) for name in "ABC"))

    print("who gives up waiting loses the place:")
    async with lock:
        try:
            await asyncio.wait_for(lock.acquire(), timeout=0.01)
        except TimeoutError:
            print("  TimeoutError, locked:", lock.locked())
    print("  locked:", lock.locked())

    try:
        lock.release()
    except RuntimeError as error:
        print("released twice:", error)


asyncio.run(main())

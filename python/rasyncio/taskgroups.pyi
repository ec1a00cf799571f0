from asyncio.taskgroups import TaskGroup as _StockTaskGroup

class TaskGroup(_StockTaskGroup):
    def cancel(self) -> None: ...

from asyncio.subprocess import *

/* The interpreter's floor: what is left of an event loop when it is taken away.

   Entering a context and resuming a coroutine, or calling a function, is work
   that no loop can spare its programs.  These functions do it from a bare C loop:
   no task, no future, no handle, no queue, no cancellation.  The share of this
   speed that a loop reaches says how much the loop itself costs. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* One step in a context: 1 when the coroutine yielded, 0 when it returned, -1 on error. */
static int
step(PyObject *context, PyObject *coroutine)
{
    if (PyContext_Enter(context) < 0) {
        return -1;
    }
    PyObject *result;
    PySendResult sent = PyIter_Send(coroutine, Py_None, &result);
    if (PyContext_Exit(context) < 0) {
        sent = PYGEN_ERROR;
    }
    if (sent == PYGEN_ERROR) {
        return -1;
    }
    Py_DECREF(result);
    return sent == PYGEN_NEXT;
}

PyDoc_STRVAR(drive_doc,
"drive(coroutines)\n--\n\n"
"Step the coroutines of a list in turn, each in its own context, until all have\n"
"returned.  They must all yield the same number of times.");

static PyObject *
drive(PyObject *Py_UNUSED(module), PyObject *coroutines)
{
    if (!PyList_CheckExact(coroutines)) {
        PyErr_SetString(PyExc_TypeError, "drive() takes a list");
        return NULL;
    }
    Py_ssize_t count = PyList_GET_SIZE(coroutines);
    PyObject *contexts = PyList_New(count);
    if (contexts == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *context = PyContext_CopyCurrent();
        if (context == NULL) {
            Py_DECREF(contexts);
            return NULL;
        }
        PyList_SET_ITEM(contexts, i, context);
    }
    int more = count > 0;
    while (more) {
        for (Py_ssize_t i = 0; i < count; i++) {
            int yielded = step(PyList_GET_ITEM(contexts, i), PyList_GET_ITEM(coroutines, i));
            if (yielded < 0) {
                Py_DECREF(contexts);
                return NULL;
            }
            more = yielded;
        }
    }
    Py_DECREF(contexts);
    Py_RETURN_NONE;
}

#define BATCH 100

PyDoc_STRVAR(spawn_doc,
"spawn(function, batches)\n--\n\n"
"Make a hundred coroutines, step each once to its end, drop them all; so many times.");

static PyObject *
spawn(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *function;
    Py_ssize_t batches;
    if (!PyArg_ParseTuple(args, "On:spawn", &function, &batches)) {
        return NULL;
    }
    PyObject *context = PyContext_CopyCurrent();
    if (context == NULL) {
        return NULL;
    }
    PyObject *coroutines[BATCH];
    for (Py_ssize_t round = 0; round < batches; round++) {
        int made = 0, failed = 0;
        for (; made < BATCH && !failed; made++) {
            coroutines[made] = PyObject_CallNoArgs(function);
            if (coroutines[made] == NULL) {
                failed = 1;
                break;
            }
        }
        for (int i = 0; i < made && !failed; i++) {
            int yielded = step(context, coroutines[i]);
            if (yielded > 0) {
                PyErr_SetString(PyExc_ValueError, "spawn() wants coroutines that do not suspend");
            }
            failed = yielded != 0;
        }
        for (int i = 0; i < made; i++) {
            Py_DECREF(coroutines[i]);
        }
        if (failed) {
            Py_DECREF(context);
            return NULL;
        }
    }
    Py_DECREF(context);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(call_doc,
"call(function, times)\n--\n\n"
"Call a function without arguments so many times in one entered context.");

static PyObject *
call(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *function;
    Py_ssize_t times;
    if (!PyArg_ParseTuple(args, "On:call", &function, &times)) {
        return NULL;
    }
    PyObject *context = PyContext_CopyCurrent();
    if (context == NULL) {
        return NULL;
    }
    if (PyContext_Enter(context) < 0) {
        Py_DECREF(context);
        return NULL;
    }
    int failed = 0;
    for (Py_ssize_t i = 0; i < times; i++) {
        PyObject *result = PyObject_CallNoArgs(function);
        if (result == NULL) {
            failed = 1;
            break;
        }
        Py_DECREF(result);
    }
    if (PyContext_Exit(context) < 0) {
        failed = 1;
    }
    Py_DECREF(context);
    if (failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"drive", drive, METH_O, drive_doc},
    {"spawn", spawn, METH_VARARGS, spawn_doc},
    {"call", call, METH_VARARGS, call_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "rasyncio_floor",
    .m_doc = "Coroutines and functions run by a bare C loop.",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit_rasyncio_floor(void)
{
    return PyModule_Create(&definition);
}

/* A page of JSON records, checked and cut to measure without an object for any value.

   A declaration says what a record holds. scan() gives the page as the old interface had it, or where its records are,
   and columns of them; None for whatever is not as declared, and then the plain way in Python decides. Nothing is taken
   that the plain way refuses: strict UTF-8, strict JSON, no declared name twice, no name with an escape. A body is
   foreign: every read is checked against its end, nesting and output are bounded. There is no static state. */
#define Py_LIMITED_API 0x030a0000 /* and no format with a "#": built by Python 3.13, older ones would not take it */
#include <Python.h>
#include <ctype.h>
#include <stdint.h>
#include <string.h>

enum { INTEGER = 1, BOOLEAN = 2, STRING = 4, ARRAY = 8, OBJECT = 16, NOTHING = 32, NUMBER = 64 }; /* JSON types */
enum { REQUIRED = 1, CHECKED = 2, IF_THERE = 4 }; /* of a field: must be there; must fit; is not shown as null */
enum { MOST_FIELDS = 128, SLOTS = 512, LONGEST_KEY = 96, MOST_STRANGERS = 64, DEEPEST = 100, MOST_DIGITS = 18 };
#define SHAPE "compat.mapping._pagescan.declaration"

typedef const unsigned char *Place;
typedef struct Shape Shape;
typedef struct {
    Shape *inner;              /* what an object under this name holds, where that is looked at */
    int types, flags, column;  /* the declared JSON types; see above; which column it is given as, or -1 */
    size_t size; char key[LONGEST_KEY]; /* ,"name": */
} Field;
struct Shape {
    int count, others; /* others: whether fields that are not declared are let through */
    unsigned char slot[SLOTS];
    Field field[MOST_FIELDS];
};
typedef struct { Place at, key; size_t size; int type; } Found; /* type 0: absent */
typedef struct { Place from; size_t size; } Piece;
typedef struct {
    const Shape *shape;
    Place begin, end;
    Piece *pieces;
    size_t count, room, bytes, most; /* of pieces, and of the output; most is 0 where none is wanted */
    Py_ssize_t width;                /* how many columns */
    PyObject *columns, *absent, *spans, *rest;
    Found row[MOST_FIELDS], last[MOST_FIELDS]; /* by column: of this record, and of the one before */
    Found stranger[MOST_STRANGERS];            /* of this record, what is not declared, where it is let through */
    int strangers;
    unsigned char odd[MOST_FIELDS];            /* by field: the first type that was not declared */
} Page;

/* The functions that read JSON give the place behind what they read, or NULL. */
static Place blanks(Place p, Place end) {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}

/* One character that is no ASCII, in the shortest form and no surrogate. */
static Place utf_8(Place p, Place end) {
    unsigned char c = *p;
    int tail = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    if (c < 0xC2 || c > 0xF4 || end - p <= tail) return NULL;
    if ((c == 0xE0 && p[1] < 0xA0) || (c == 0xED && p[1] > 0x9F)) return NULL;
    if ((c == 0xF0 && p[1] < 0x90) || (c == 0xF4 && p[1] > 0x8F)) return NULL;
    for (int i = 1; i <= tail; i++) if ((p[i] & 0xC0) != 0x80) return NULL;
    return p + 1 + tail;
}

static Place escape(Place p, Place end) {
    if (end - p < 2 || (p[1] == 'u' && end - p < 6)) return NULL;
    if (p[1] != 'u') return p[1] && strchr("\"\\/bfnrt", p[1]) ? p + 2 : NULL;
    return isxdigit(p[2]) && isxdigit(p[3]) && isxdigit(p[4]) && isxdigit(p[5]) ? p + 6 : NULL;
}

/* A string from behind its opening quote. */
static Place string(Place p, Place end) {
    while (p) {
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        /* Eight characters at once: the lowest bit found is of the first that is not plain. */
        const uint64_t one = 0x0101010101010101u, top = one * 0x80;
        uint64_t found = 0;
        for (; !found && end - p >= 8; p += found ? __builtin_ctzll(found) >> 3 : 8) {
            uint64_t w, quote, slash;
            memcpy(&w, p, 8);
            quote = w ^ (one * '"'), slash = w ^ (one * '\\');
            found = (((quote - one) & ~quote) | ((slash - one) & ~slash) | ((w - one * 0x20) & ~w) | w) & top;
        }
#endif
        if (p >= end || *p < 0x20) return NULL;
        if (*p == '"') return p + 1;
        p = *p == '\\' ? escape(p, end) : *p < 0x80 ? p + 1 : utf_8(p, end);
    }
    return NULL;
}

static Place digits(Place p, Place end) {
    Place begin = p;
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p > begin ? p : NULL;
}

static Place number(Place p, Place end, int *type) {
    *type = INTEGER, p += *p == '-';
    p = p < end && *p == '0' ? p + 1 : digits(p, end);
    if (p && p < end && *p == '.') *type = NUMBER, p = digits(p + 1, end);
    if (!p || p >= end || (*p | 32) != 'e') return p;
    *type = NUMBER, p++;
    return digits(p < end && (*p == '+' || *p == '-') ? p + 1 : p, end);
}

static Place word(Place p, Place end, const char *text, size_t size) {
    return (size_t)(end - p) >= size && !memcmp(p, text, size) ? p + size : NULL;
}

/* Behind a member: where the next one begins, or behind the closing bracket, which *last tells. */
static Place next(Place p, Place end, char close, int *last) {
    p = blanks(p, end);
    if (p >= end || (*p != close && *p != ',')) return NULL;
    *last = *p == close;
    return *last ? p + 1 : blanks(p + 1, end);
}

static Place colon(Place p, Place end) {
    p = blanks(p, end);
    return p < end && *p == ':' ? blanks(p + 1, end) : NULL;
}

static Place value(Place p, Place end, int depth, int *type) {
    if (p >= end || depth > DEEPEST) return NULL;
    switch (*p) {
    case '"': *type = STRING; return string(p + 1, end);
    case 'n': *type = NOTHING; return word(p, end, "null", 4);
    case 't': *type = BOOLEAN; return word(p, end, "true", 4);
    case 'f': *type = BOOLEAN; return word(p, end, "false", 5);
    case '[': *type = ARRAY; break;
    case '{': *type = OBJECT; break;
    default: return number(p, end, type);
    }
    char close = *type == ARRAY ? ']' : '}';
    int inner, last = 0;
    p = blanks(p + 1, end);
    if (p < end && *p == close) return p + 1;
    while (p && !last) {
        if (close == '}' && (p >= end || *p != '"' || !(p = string(p + 1, end)) || !(p = colon(p, end)))) return NULL;
        if ((p = value(p, end, depth + 1, &inner))) p = next(p, end, close, &last);
    }
    return p;
}

/* A member's name and colon; one with an escape is left to the plain way. */
static Place name(Place p, Place end, Found *named) {
    if (p >= end || *p != '"' || !(p = string(named->at = p + 1, end))) return NULL;
    named->size = (size_t)(p - 1 - named->at);
    return memchr(named->at, '\\', named->size) ? NULL : colon(p, end);
}

/* The slot of a name: that of its field, or the free one where it belongs. */
static unsigned slot_of(const Shape *shape, Place text, size_t size) {
    unsigned slot = (unsigned)(size * 31 + text[0] * 7u + text[size - 1] * 131u + text[size / 2] * 17u) % SLOTS;
    for (const Field *field; shape->slot[slot]; slot = (slot + 1) % SLOTS) {
        field = &shape->field[shape->slot[slot] - 1];
        if (field->size - 4 == size && !memcmp(field->key + 2, text, size)) break;
    }
    return slot;
}

static void release(Shape *shape) {
    for (int i = 0; shape && i < shape->count; i++) release(shape->field[i].inner);
    PyMem_Free(shape);
}

static Shape *shape_of(PyObject *fields, int others) {
    Shape *shape = PyMem_Calloc(1, sizeof *shape);
    if (!shape) return (Shape *)PyErr_NoMemory();
    shape->others = others;
    for (Py_ssize_t i = 0; i < PyTuple_Size(fields); i++) {
        char *key;
        PyObject *inner, *bytes;
        Py_ssize_t size;
        Field *field = &shape->field[i];
        if (i == MOST_FIELDS || !PyArg_ParseTuple(PyTuple_GetItem(fields, i), "SiiiO", &bytes, &field->types,
            &field->flags, &field->column, &inner) || PyBytes_AsStringAndSize(bytes, &key, &size) || size < 5 ||
            size > LONGEST_KEY || field->column >= MOST_FIELDS) break;
        shape->count++;
        memcpy(field->key, key, field->size = (size_t)size);
        if (inner != Py_None && !(PyTuple_Check(inner) && (field->inner = shape_of(inner, 0)))) break;
        shape->slot[slot_of(shape, (Place)key + 2, field->size - 4)] = (unsigned char)shape->count;
    }
    if (shape->count == PyTuple_Size(fields) && !PyErr_Occurred()) return shape;
    release(shape);
    return PyErr_Occurred() ? NULL : (Shape *)PyErr_Format(PyExc_ValueError, "too many fields, or too long a name");
}

static PyObject *read_value(const Page *page, const Found *found) {
    if (found->type == 0 || found->type == NOTHING) return Py_BuildValue("O", found->type ? Py_None : page->absent);
    if (found->type == BOOLEAN) return PyBool_FromLong(*found->at == 't');
    if (found->type == STRING && !memchr(found->at, '\\', found->size))
        return PyUnicode_DecodeUTF8((const char *)found->at + 1, (Py_ssize_t)found->size - 2, NULL);
    if (found->type == INTEGER && found->size <= MOST_DIGITS) {
        long long sum = 0;
        for (size_t i = *found->at == '-'; i < found->size; i++) sum = sum * 10 + (found->at[i] - '0');
        return PyLong_FromLongLong(*found->at == '-' ? -sum : sum);
    }
    return PyBytes_FromStringAndSize((const char *)found->at, (Py_ssize_t)found->size);
}

static int append(PyObject *list, PyObject *item) {
    int good = item && !PyList_Append(list, item);
    Py_XDECREF(item);
    return good;
}

/* Add a record to a column; a text that comes again, as many do, is the object that it was. */
static int note(Page *page, Py_ssize_t column) {
    PyObject *list = PyTuple_GetItem(page->columns, column);
    Found *last = &page->last[column], *found = &page->row[column];
    Py_ssize_t count = PyList_Size(list), same = count && last->type == found->type && last->size == found->size;
    if (same && (!found->type || !memcmp(last->at, found->at, found->size)))
        return append(list, Py_BuildValue("O", PyList_GetItem(list, count - 1)));
    *last = *found;
    return append(list, read_value(page, found));
}

/* What follows in the body on what was added last, as most does, becomes one piece with it. */
static int add(Page *page, const void *text, size_t size) {
    Piece *last = page->pieces ? page->pieces + page->count - 1 : NULL;
    if ((page->bytes += size) > page->most) return 0;
    if (last && last->from + last->size == (Place)text) return last->size += size, 1;
    if (!last || page->count == page->room) {
        Piece *at = PyMem_Realloc(page->pieces, (page->room = 2 * page->room + 256) * sizeof *at);
        if (!at) return PyErr_NoMemory() != NULL;
        page->pieces = at;
    }
    page->pieces[page->count++] = (Piece){text, size};
    return 1;
}

static int add_field(Page *page, const Field *field, const Found *found, int first) {
    if (!found->type && field->flags & IF_THERE) return 1;
    if (!found->type || !found->key)
        return add(page, field->key + first, field->size - (size_t)first) &&
               (found->type ? add(page, found->at, found->size) : add(page, "null", 4));
    int comma = !first && found->key[-1] == ',';
    size_t size = (size_t)(found->at - found->key + comma) + found->size;
    return (first || comma || add(page, ",", 1)) && add(page, found->key - comma, size);
}
/* One that is not declared; the same name twice is left to the plain way. */
static int add_stranger(Page *page, const Found *one) {
    size_t size = (size_t)(one->at - one->key);
    size_t quoted = (size_t)((Place)memchr(one->key + 1, '"', size) - one->key + 1);
    for (const Found *first = page->stranger; first < one; first++)
        if ((size_t)(first->at - first->key) > quoted && !memcmp(first->key, one->key, quoted)) return 0;
    return add(page, ",", 1) && add(page, one->key, size + one->size);
}

/* A member up to its value, and its field or NULL; here->key is where its name begins, NULL for a field with blanks. */
static Place member(const Shape *shape, Place p, Place end, const Field *expected, const Field **field, Found *here) {
    Found named;
    /* Most often it is the one declared behind the one before. */
    if (expected < shape->field + shape->count && word(p, end, expected->key + 1, expected->size - 1)) {
        *field = expected;
        named.size = expected->size - 4;
        here->at = blanks(p + expected->size - 1, end);
    } else {
        if (!(here->at = name(p, end, &named))) return NULL;
        int which = named.size ? shape->slot[slot_of(shape, named.at, named.size)] : 0;
        *field = which ? &shape->field[which - 1] : NULL;
    }
    here->key = !*field || here->at == p + named.size + 3 ? p : NULL;
    return here->at;
}

/* An object, and what is declared of it. */
static Place object(Page *page, const Shape *shape, Place p, Found *found) {
    Place end = page->end;
    Found here, inner[MOST_FIELDS];
    const Field *field, *expected = shape->field;
    for (int i = 0; i < shape->count; i++) found[i].type = 0;
    p = blanks(p + 1, end);
    int last = p < end && *p == '}';
    p += last;
    while (!last) {
        if (!(p = member(shape, p, end, expected, &field, &here))) return NULL;
        int inside = field && field->inner && p < end && *p == '{';
        here.type = OBJECT;
        p = inside ? object(page, field->inner, p, inner) : value(p, end, 0, &here.type);
        if (!p) return NULL;
        here.size = (size_t)(p - here.at);
        if (field) {
            Py_ssize_t which = field - shape->field;
            int fits = field->types & here.type;
            if (found[which].type || (!fits && field->flags & CHECKED)) return NULL;
            if (!fits && !page->odd[which] && shape == page->shape) page->odd[which] = (unsigned char)here.type;
            found[which] = here;
            /* Of an object that is looked into, the column tells that it is there. */
            if (inside) here.at = (Place) "t", here.size = 1, here.type = BOOLEAN;
            if (field->column >= 0) page->row[field->column] = here;
            expected = field + 1;
        } else if (shape->others) {
            if (page->strangers == MOST_STRANGERS) return NULL;
            page->stranger[page->strangers++] = here;
        }
        if (!(p = next(p, end, '}', &last))) return NULL;
    }
    for (int i = 0; i < shape->count; i++) if (!found[i].type && shape->field[i].flags & REQUIRED) return NULL;
    return p;
}

static Place record(Page *page, Place p) {
    const Shape *shape = page->shape;
    Found found[MOST_FIELDS];
    int good = 1;
    Place begin = p;
    page->strangers = 0;
    for (int i = 0; i < page->width; i++) page->row[i].type = 0;
    if (p >= page->end || *p != '{' || !(p = object(page, shape, p, found))) return NULL;
    if (page->most) {
        good = add(page, "{", 1);
        for (int i = 0; good && i < shape->count; i++) good = add_field(page, &shape->field[i], &found[i], !i);
        for (int i = 0; good && i < page->strangers; i++) good = add_stranger(page, &page->stranger[i]);
        good = good && add(page, "}", 1);
    } else good = append(page->spans, Py_BuildValue("(nn)", begin - page->begin, p - page->begin));
    for (Py_ssize_t i = 0; good && i < page->width; i++) good = note(page, i);
    return good ? p : NULL;
}

static Place records(Page *page, Place p) {
    if (p >= page->end || *p != '[') return NULL;
    p = blanks(p + 1, page->end);
    if (p < page->end && *p == ']') return p + 1;
    for (int last = 0; p && !last;) {
        if ((p = record(page, p))) p = next(p, page->end, ']', &last);
        if (p && !last && page->most && !add(page, ",", 1)) return NULL;
    }
    return p;
}

/* All of a body: an array of records, or an object with one under a name, whose other members are kept as texts. */
static Place body(Page *page, const char *list, size_t size) {
    Place end = page->end, p = blanks(page->begin, end);
    Found named;
    int last = 0, found = 0, type;
    if (!size) return (p = records(page, p)) && blanks(p, end) == end ? p : NULL;
    p = p < end && *p == '{' ? blanks(p + 1, end) : NULL;
    while (p && !last) {
        if (!(named.key = name(p, end, &named))) return NULL;
        if (named.size == size && !memcmp(named.at, list, size)) p = found++ ? NULL : records(page, named.key);
        else if ((p = value(named.key, end, 0, &type)) && !append(page->rest, Py_BuildValue(
            "(NN)", PyUnicode_DecodeUTF8((const char *)named.at, (Py_ssize_t)named.size, NULL),
            PyBytes_FromStringAndSize((const char *)named.key, p - named.key)))) return NULL;
        if (p) p = next(p, end, '}', &last);
    }
    return p && found && blanks(p, end) == end ? p : NULL;
}

static PyObject *joined(const Page *page) {
    PyObject *whole = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)page->bytes);
    char *to = whole ? PyBytes_AsString(whole) : NULL;
    for (const Piece *piece = page->pieces; to && piece < page->pieces + page->count; to += piece++->size)
        memcpy(to, piece->from, piece->size);
    return whole;
}

/* scan(declaration, body, the list's name or b"", columns: a tuple of lists, what an absent value is, most bytes out)
   -> (output, [where records begin and end, where there is no output], types of drift by field, [other members]) */
static PyObject *scan(PyObject *Py_UNUSED(self), PyObject *args) {
    PyObject *capsule, *bytes, *called, *columns, *absent, *answer = NULL;
    char *list, *raw;
    Py_ssize_t size, named, most;
    if (!PyArg_ParseTuple(args, "OSSO!On", &capsule, &bytes, &called, &PyTuple_Type, &columns, &absent, &most) ||
        PyBytes_AsStringAndSize(bytes, &raw, &size) || PyBytes_AsStringAndSize(called, &list, &named)) return NULL;
    const Shape *shape = PyCapsule_GetPointer(capsule, SHAPE);
    if (!shape) return NULL;
    if (PyTuple_Size(columns) > MOST_FIELDS) return PyErr_Format(PyExc_ValueError, "too many columns");
#ifdef PAGESCAN_EXACT /* for the sanitizer: memory that ends where the body does */
    raw = memcpy(PyMem_Malloc((size_t)size + !size), raw, (size_t)size);
#endif
    Page page = {.shape = shape, .begin = (Place)raw, .end = (Place)raw + size, .most = (size_t)most,
                 .columns = columns, .width = PyTuple_Size(columns), .absent = absent,
                 .spans = PyList_New(0), .rest = PyList_New(0)};
    if (page.spans && page.rest && (!most || add(&page, "{\"students\":[", 13)) &&
        body(&page, list, (size_t)named) && (!most || add(&page, "]}", 2)))
        answer = Py_BuildValue("(NONO)", joined(&page), page.spans,
                               PyBytes_FromStringAndSize((char *)page.odd, shape->count), page.rest);
#ifdef PAGESCAN_EXACT
    PyMem_Free(raw);
#endif
    PyMem_Free(page.pieces);
    Py_XDECREF(page.spans);
    Py_XDECREF(page.rest);
    return answer || PyErr_Occurred() ? answer : Py_BuildValue("");
}

static void let_go(PyObject *capsule) { release(PyCapsule_GetPointer(capsule, SHAPE)); }
/* declare(fields, others) -> a declaration; a field is (key, types, flags, column, the fields within it or None) */
static PyObject *declare(PyObject *Py_UNUSED(self), PyObject *args) {
    PyObject *fields, *capsule = NULL;
    int others;
    Shape *shape = PyArg_ParseTuple(args, "O!p", &PyTuple_Type, &fields, &others) ? shape_of(fields, others) : NULL;
    if (shape && !(capsule = PyCapsule_New(shape, SHAPE, let_go))) release(shape);
    return capsule;
}

static PyMethodDef methods[] = {{"declare", declare, METH_VARARGS, 0}, {"scan", scan, METH_VARARGS, 0}, {0, 0, 0, 0}};
static PyModuleDef_Slot slots[] = {{0, NULL}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_pagescan", NULL, 0, methods, slots, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__pagescan(void) { return PyModuleDef_Init(&module); }

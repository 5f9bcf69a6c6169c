// The students of an exam who began since a day, the latest first: every page as it came, one a line.
//
//   EXAM_STUDENTS_URL=http://127.0.0.1:8080 EXAM_STUDENTS_TOKEN=... EXAM_STUDENTS_SECRET=... node node_client.mjs 17
//
// Needs Node 18 or newer, and nothing else.
import { createHmac, randomBytes } from "node:crypto";

const { EXAM_STUDENTS_URL: url, EXAM_STUDENTS_TOKEN: token, EXAM_STUDENTS_SECRET: secret } = process.env;
const exam = process.argv[2];

// Sorted by name, joined by ?, values as they are; every parameter but the signature, the id of the path among them.
function signature(parameters) {
  const text = Object.keys(parameters)
    .sort()
    .map((name) => `${name}=${parameters[name]}`)
    .join("?");
  return createHmac("sha256", secret).update(text).digest("hex");
}

async function getPage(page) {
  // Every value is made a text once, which is signed and sent; a fresh time and nonce for every call and attempt.
  const parameters = {
    filter: JSON.stringify({ start_time: { gte: "2018-07-01" } }),
    sort: JSON.stringify([{ start_time: "desc" }, { id: "asc" }]),
    limit: "5",
    page: String(page),
    timestamp: String(Date.now()),
    nonce: String(randomBytes(6).readUIntBE(0, 6)),
  };
  // Encoded only where they are sent: URLSearchParams does it.
  const query = new URLSearchParams({ ...parameters, signature: signature({ ...parameters, id: exam }) });
  const response = await fetch(`${url}/api/v3/exams/${exam}/index_students?${query}`, {
    headers: { Authorization: `Token token=${token}` },
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${body}`);
  return { body, headers: response.headers };
}

try {
  let pages = 1;
  let students = 0;
  for (let page = 1; page <= pages; page += 1) {
    const { body, headers } = await getPage(page);
    console.log(body);
    pages = Number(headers.get("X-Pagination-Page-Count"));
    students = Number(headers.get("X-Pagination-Item-Count"));
  }
  console.log(`${students} students on ${pages} pages`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

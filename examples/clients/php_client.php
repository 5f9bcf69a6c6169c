<?php
// The students of an exam who began since a day, the latest first: every page as it came, one a line.
//
//   EXAM_STUDENTS_URL=http://127.0.0.1:8080 EXAM_STUDENTS_TOKEN=... EXAM_STUDENTS_SECRET=... php php_client.php 17
//
// Needs PHP 8.0 or newer, and no extension.

// Sorted by name, joined by ?, values as they are; every parameter but the signature, the id of the path among them.
function signature(array $parameters): string
{
    ksort($parameters, SORT_STRING);
    $pairs = array_map(fn ($name, $value) => "$name=$value", array_keys($parameters), $parameters);
    return hash_hmac('sha256', implode('?', $pairs), getenv('EXAM_STUDENTS_SECRET'));
}

function get_page(string $exam, int $page): array
{
    // Every value is made a text once, which is signed and sent; a fresh time and nonce for every call and attempt.
    $parameters = [
        'filter' => json_encode(['start_time' => ['gte' => '2018-07-01']]),
        'sort' => json_encode([['start_time' => 'desc'], ['id' => 'asc']]),
        'limit' => '5',
        'page' => (string) $page,
        'timestamp' => (string) (int) (microtime(true) * 1000),
        'nonce' => (string) random_int(0, PHP_INT_MAX),
    ];
    // Encoded only where they are sent: http_build_query does it.
    $query = http_build_query($parameters + ['signature' => signature($parameters + ['id' => $exam])]);
    $url = getenv('EXAM_STUDENTS_URL') . "/api/v3/exams/$exam/index_students?$query";
    $options = [
        'header' => 'Authorization: Token token=' . getenv('EXAM_STUDENTS_TOKEN'),
        'ignore_errors' => true,
        'timeout' => 60,
    ];
    $body = file_get_contents($url, false, stream_context_create(['http' => $options]));
    if ($body === false) {
        exit(1);
    }
    $headers = [];
    foreach ($http_response_header as $line) {
        [$name, $value] = explode(':', $line, 2) + [1 => ''];
        $headers[strtolower($name)] = trim($value);
    }
    $status = (int) explode(' ', $http_response_header[0])[1];
    if ($status !== 200) {
        fwrite(STDERR, "$status $body\n");
        exit(1);
    }
    return [$body, $headers];
}

$pages = 1;
for ($page = 1; $page <= $pages; $page++) {
    [$body, $headers] = get_page($argv[1], $page);
    echo $body, "\n";
    $pages = (int) $headers['x-pagination-page-count'];
    $students = (int) $headers['x-pagination-item-count'];
}
echo "$students students on $pages pages\n";

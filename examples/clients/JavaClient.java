// The students of an exam who began since a day, the latest first: every page as it came, one a line.
//
//   EXAM_STUDENTS_URL=http://127.0.0.1:8080 EXAM_STUDENTS_TOKEN=... EXAM_STUDENTS_SECRET=... java JavaClient.java 17
//
// Needs Java 17 or newer, with its compiler (a JDK), and nothing else.
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class JavaClient {
    private static final String URL = System.getenv("EXAM_STUDENTS_URL");
    private static final String TOKEN = System.getenv("EXAM_STUDENTS_TOKEN");
    private static final String SECRET = System.getenv("EXAM_STUDENTS_SECRET");
    private static final SecureRandom RANDOM = new SecureRandom();
    private static final HttpClient CLIENT =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    // Sorted by name, joined by ?, values as they are; every parameter but the signature, the id of the path among them.
    static String signature(TreeMap<String, String> parameters) throws Exception {
        String text = parameters.entrySet().stream()
                .map(each -> each.getKey() + "=" + each.getValue())
                .collect(Collectors.joining("?"));
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(SECRET.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
        return HexFormat.of().formatHex(mac.doFinal(text.getBytes(StandardCharsets.UTF_8)));
    }

    static HttpResponse<byte[]> getPage(String exam, int page) throws Exception {
        // Every value is made a text once, which is signed and sent; a fresh time and nonce for every call and attempt.
        TreeMap<String, String> parameters = new TreeMap<>(Map.of(
                "filter", "{\"start_time\":{\"gte\":\"2018-07-01\"}}",
                "sort", "[{\"start_time\":\"desc\"},{\"id\":\"asc\"}]",
                "limit", "5",
                "page", String.valueOf(page),
                "timestamp", String.valueOf(System.currentTimeMillis()),
                "nonce", String.valueOf(RANDOM.nextLong() >>> 1),
                "id", exam));
        String signature = signature(parameters);
        // The id goes in the path; the others are encoded only where they are sent.
        parameters.remove("id");
        parameters.put("signature", signature);
        String query = parameters.entrySet().stream()
                .map(each -> each.getKey() + "=" + URLEncoder.encode(each.getValue(), StandardCharsets.UTF_8))
                .collect(Collectors.joining("&"));
        HttpRequest request = HttpRequest.newBuilder(
                        URI.create(URL + "/api/v3/exams/" + exam + "/index_students?" + query))
                .header("Authorization", "Token token=" + TOKEN)
                .build();
        return CLIENT.send(request, HttpResponse.BodyHandlers.ofByteArray());
    }

    public static void main(String[] arguments) throws Exception {
        long pages = 1;
        long students = 0;
        for (int page = 1; page <= pages; page++) {
            HttpResponse<byte[]> response = getPage(arguments[0], page);
            if (response.statusCode() != 200) {
                System.err.println(response.statusCode() + " " + new String(response.body(), StandardCharsets.UTF_8));
                System.exit(1);
            }
            System.out.write(response.body());
            System.out.write('\n');
            pages = response.headers().firstValueAsLong("X-Pagination-Page-Count").orElseThrow();
            students = response.headers().firstValueAsLong("X-Pagination-Item-Count").orElseThrow();
        }
        System.out.print(students + " students on " + pages + " pages\n");
        System.out.flush();
    }
}

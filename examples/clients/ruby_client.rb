# The students of an exam who began since a day, the latest first: every page as it came, one a line.
#
#   EXAM_STUDENTS_URL=http://127.0.0.1:8080 EXAM_STUDENTS_TOKEN=... EXAM_STUDENTS_SECRET=... ruby ruby_client.rb 17
#
# Needs Ruby 2.7 or newer, and nothing else.
require "json"
require "net/http"
require "openssl"
require "securerandom"
require "uri"

URL, TOKEN, SECRET = ENV.values_at("EXAM_STUDENTS_URL", "EXAM_STUDENTS_TOKEN", "EXAM_STUDENTS_SECRET")

# Sorted by name, joined by ?, values as they are; every parameter but the signature, the id of the path among them.
def signature(parameters)
  text = parameters.sort.map { |name, value| "#{name}=#{value}" }.join("?")
  OpenSSL::HMAC.hexdigest("SHA256", SECRET, text)
end

def get_page(exam, page)
  # Every value is made a text once, which is signed and sent; a fresh time and nonce for every call and attempt.
  parameters = {
    "filter" => JSON.generate({ start_time: { gte: "2018-07-01" } }),
    "sort" => JSON.generate([{ start_time: "desc" }, { id: "asc" }]),
    "limit" => "5",
    "page" => page.to_s,
    "timestamp" => Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond).to_s,
    "nonce" => SecureRandom.random_number(2**63).to_s,
  }
  # Encoded only where they are sent.
  query = URI.encode_www_form(parameters.merge("signature" => signature(parameters.merge("id" => exam))))
  uri = URI("#{URL}/api/v3/exams/#{exam}/index_students?#{query}")
  response = Net::HTTP.get_response(uri, { "Authorization" => "Token token=#{TOKEN}" })
  abort("#{response.code} #{response.body}") unless response.is_a?(Net::HTTPSuccess)
  response
end

page = pages = 1
students = 0
while page <= pages
  response = get_page(ARGV.fetch(0), page)
  puts response.body
  pages = response["X-Pagination-Page-Count"].to_i
  students = response["X-Pagination-Item-Count"].to_i
  page += 1
end
puts "#{students} students on #{pages} pages"
